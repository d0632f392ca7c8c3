#!/bin/bash
# Starts MinIO on its volume, unless a newer kind of binary has written there.
set -euo pipefail
source=$(</etc/minio-source)
marker=/data/.written-by
if [[ $source == upstream && -s $marker && $(<"$marker") == fork ]]; then
  echo "This volume has been written by the fork of MinIO; upstream's binary must not open it." >&2
  echo "Make the fork's image reachable (platform_minio_source: fork), or restore a backup taken before." >&2
  exit 1
fi
echo "$source" > "$marker.new"
mv "$marker.new" "$marker"
MINIO_ROOT_USER=$(</run/secrets/minio_root_user)
MINIO_ROOT_PASSWORD=$(</run/secrets/minio_root_password)
export MINIO_ROOT_USER MINIO_ROOT_PASSWORD
mkdir -p /data/store
exec minio server /data/store --address :9000 --console-address :9001
