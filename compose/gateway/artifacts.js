// An artifact on its way to a reader. MLflow says in the reader's own name whether they may have it, by signing the
// object's address; what it does not sign it is asked for as usual, so that the refusal is its own.
async function download(r) {
  const signed = await r.subrequest('/.signed');
  if (signed.status === 401) {
    // Already counted as a failed login: who hangs up before a second answer has not guessed for nothing.
    r.headersOut['Content-Type'] = signed.headersOut['Content-Type'];
    r.headersOut['WWW-Authenticate'] = signed.headersOut['WWW-Authenticate'];
    r.return(401, signed.responseText);
    return;
  }
  if (signed.status !== 200) {
    r.internalRedirect('@artifact');
    return;
  }
  r.variables.object = JSON.parse(signed.responseText).url;
  r.variables.object_origin = signed.headersOut['Access-Control-Allow-Origin'] || '';
  r.internalRedirect('/.object');
}

export default { download };
