// Slows the guessing of passwords: a user name at one address waits after PAIR failed logins, and every login from one
// address after ADDRESS of them. Each wait ends 120 s after the last failure (the zone's time-out in nginx.conf).
const PAIR = 10;
const ADDRESS = 50;
const failures = () => ngx.shared.failures;

function pair(r, user) {
  return `${r.remoteAddress} ${user.slice(0, 100)}`;
}

function waits(r, user) {
  if (user === '') return '';
  const many = (failures().get(pair(r, user)) || 0) >= PAIR || (failures().get(r.remoteAddress) || 0) >= ADDRESS;
  return many ? '1' : '';
}

function failed(r, user) {
  failures().incr(pair(r, user), 1, 0);
  failures().incr(r.remoteAddress, 1, 0);
}

function succeeded(r, user) {
  if (failures().has(pair(r, user))) failures().delete(pair(r, user));
}

// MLflow: HTTP basic authentication. A first call without a login is no failure.
function mlflow_user(r) {
  const basic = /^basic +(\S+)/i.exec(r.headersIn.Authorization || '');
  return basic ? 'mlflow ' + Buffer.from(basic[1], 'base64').toString().split(':')[0] : '';
}

function mlflow_waits(r) {
  return waits(r, mlflow_user(r));
}

// Only an answer that needed a login shows that the password was right: health and static files ask for none.
const NEEDS_LOGIN = /^\/(ajax-)?api\/2\.0\/mlflow\/[a-z-]+\/[a-z-]+(\?|$)/;

function mlflow_answered(r) {
  const user = mlflow_user(r);
  if (user === '') return;
  if (r.status === 401) failed(r, user);
  else if (r.status === 200 && NEEDS_LOGIN.test(r.variables.request_uri)) succeeded(r, user);
}

// S3: the access key stands in the signature's header or, presigned, in the address. Of its many refusals only two
// are failed logins; a HEAD has them in a header, everything else in its body.
const S3_FAILURE = /\b(SignatureDoesNotMatch|InvalidAccessKeyId)\b/;

function s3_user(r) {
  const credential = /Credential=([^/, ]+)/.exec(r.headersIn.Authorization || '');
  const key = credential ? credential[1] : (r.variables['arg_X-Amz-Credential'] || '').split(/\/|%2F/i)[0];
  return key ? `s3 ${key}` : '';
}

function s3_waits(r) {
  return waits(r, s3_user(r));
}

function s3_answered(r) {
  const user = s3_user(r);
  if (user === '') return;
  if (r.status === 403 && S3_FAILURE.test(r.headersOut['X-Minio-Error-Code'] || '')) failed(r, user);
  else if (r.status === 200) succeeded(r, user);
}

function s3_body(r, data, flags) {
  const refused = r.status === 403 && s3_user(r) !== '';
  const found = refused && S3_FAILURE.test(data.toString());
  if (found) failed(r, s3_user(r));
  r.sendBuffer(data, flags);
  // The first piece of a body may be empty; only a refusal is worth reading on.
  if (!refused || found) r.done();
}

// The console: its login streams through unread, so all logins of one address count together.
function console_login(r) {
  return r.method === 'POST' && r.uri === '/api/v1/login';
}

function console_waits(r) {
  return console_login(r) ? waits(r, 'console') : '';
}

function console_answered(r) {
  if (!console_login(r)) return;
  if (r.status === 401 || r.status === 403) failed(r, 'console');
  else if (r.status < 300) succeeded(r, 'console');
}

export default {
  mlflow_waits, mlflow_answered, s3_waits, s3_answered, s3_body, console_waits, console_answered,
};
