#!/bin/sh
# Bring an image of this machine into the engine of a target, unless it is there already: load_image.sh IMAGE TARGET
# It takes a minute for each 2 GB; keep the target's /var/lib/docker on a named volume, and later targets have it at once.
set -eu
image=$1 target=$2
id=$(docker image inspect --format '{{.Id}}' "$image")
if [ "$(docker exec "$target" docker image inspect --format '{{.Id}}' "$image" 2>/dev/null)" = "$id" ]; then
  echo "$image: present"
else
  docker save "$image" | docker exec --interactive "$target" docker load --quiet
fi
