#!/bin/sh
# Load an image of this machine into the volume hgx-molecule-images-docker, whose content targets start with, see start.sh:
# share_image.sh IMAGE TARGET_IMAGE. It takes a minute for each 2 GB, once.
set -eu
image=$1 target=$2 name=hgx-molecule-images
id=$(docker image inspect --format '{{.Id}}' "$image")
exec 9>"${TMPDIR:-/tmp}/$name.lock" # one scenario loads, the others wait
flock 9
if docker container inspect "$name" >/dev/null 2>&1; then docker rm --force "$name" >/dev/null; fi # of an interrupted run
loaded=$(docker run --rm --entrypoint sh --volume "$name-docker:/var/lib/docker" "$target" -c 'if test -e /var/lib/docker/loaded; then cat /var/lib/docker/loaded; fi')
if [ "$loaded" = "$id" ]; then
  echo "$image: present"
  exit
fi
docker volume rm "$name-docker" >/dev/null
"$(dirname "$0")/start.sh" "$name" "$target" ""
docker save "$image" | docker exec --interactive "$name" docker load --quiet
docker exec "$name" sh -euc 'systemctl stop docker.socket docker.service; echo "$0" >/var/lib/docker/loaded' "$id"
docker rm --force "$name" >/dev/null
