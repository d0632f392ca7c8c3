#!/bin/bash
# Makes the cluster on first start, and at every start brings roles and database to what the secrets say.
set -euo pipefail
data=/var/lib/postgresql/17
super=/run/secrets/postgres_password
mlflow=/run/secrets/mlflow_database_password

# A cluster is made beside its place and moved there whole: what an interrupted start has left there is none.
rm -rf "$data.new"
if [[ -d /var/lib/postgresql ]] && older=$(find /var/lib/postgresql -mindepth 2 -maxdepth 2 -name PG_VERSION | grep -v "^$data/" | head -n 1) && [[ -n $older ]]; then
  echo "The volume holds PostgreSQL $(<"$older"), this image is 17: restore the volume with the image that wrote it, or upgrade it." >&2
  exit 1
fi
if [[ ! -s $data/PG_VERSION ]]; then
  initdb --pgdata="$data.new" --username=postgres --pwfile="$super" --auth=scram-sha-256 --data-checksums \
    --encoding=UTF8 --locale-provider=builtin --locale=C.UTF-8
  mv "$data.new" "$data"
fi

# Single-user start on a private socket: roles first, connections after.
socket=$(mktemp -d)
printf 'local all postgres trust\n' > "$socket/pg_hba.conf"
pg_ctl --pgdata="$data" --silent --wait --timeout=300 start \
  --options="-c listen_addresses='' -c unix_socket_directories='$socket' -c hba_file='$socket/pg_hba.conf' -c jit=off"
psql --host="$socket" --username=postgres --dbname=postgres --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --file=- <<'SQL'
\set super `cat /run/secrets/postgres_password`
\set mlflow `cat /run/secrets/mlflow_database_password`
SET password_encryption = 'scram-sha-256';
SET log_statement = 'none';
ALTER ROLE postgres PASSWORD :'super';
SELECT 'CREATE ROLE mlflow' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mlflow') \gexec
ALTER ROLE mlflow LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'mlflow';
SELECT 'CREATE DATABASE mlflow OWNER mlflow' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'mlflow') \gexec
REVOKE ALL ON DATABASE mlflow FROM PUBLIC;
REVOKE ALL ON DATABASE postgres FROM PUBLIC;
REVOKE ALL ON DATABASE template1 FROM PUBLIC;
SQL
pg_ctl --pgdata="$data" --silent --wait --mode=fast stop
rm -rf "$socket"
[[ -r $mlflow ]]
exec "$@" -D "$data" -c config_file=/etc/platform/postgresql.conf -c hba_file=/etc/platform/pg_hba.conf
