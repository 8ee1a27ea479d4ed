#!/bin/sh
# Start a container host, and wait for its systemd: start.sh NAME IMAGE IMAGES_VOLUME [VOLUME...]
# Its engine's disk is a volume of its own. It starts with the images of IMAGES_VOLUME, see share_image.sh, unless that is "".
set -eu
name=$1 image=$2 images=$3
shift 3
docker container inspect "$name" >/dev/null 2>&1 && { echo "$name: present"; exit; }
docker volume create "$name-docker" >/dev/null
if [ "$images" ]; then
  # Layers are never written to, so hard links are enough for them: a second instead of a minute, and one copy in memory.
  # They do not reach across mounts; this is why the folder of all volumes is mounted.
  docker run --rm --entrypoint sh --volume "$(docker info --format '{{.DockerRootDir}}')/volumes:/volumes" "$image" -euc '
    cd "/volumes/$1/_data"
    for part in *; do
      case $part in overlay2) how=-al ;; *) how=-a ;; esac
      cp $how "$part" "/volumes/$2/_data/"
    done' copy "$images" "$name-docker"
fi
for volume; do
  set -- "$@" --volume "$volume"
  shift
done
# Everything but what an unprivileged machine cannot give away itself. As a machine it has shared memory, not as a container;
# and a reboot is the end of its first process.
docker run --detach --name "$name" --hostname "$name" --label owner=molecule \
  --cap-add ALL --cap-drop SYS_RESOURCE --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
  --device-cgroup-rule 'a *:* rwm' --cgroupns private --tmpfs /run:exec --tmpfs /run/lock --tmpfs /tmp:exec \
  --shm-size 2g --restart unless-stopped --volume "$name-docker:/var/lib/docker" "$@" "$image" >/dev/null
for _ in $(seq 240); do
  case $(docker exec "$name" systemctl is-system-running 2>/dev/null) in running | degraded) exit ;; esac
  sleep 0.5
done
echo >&2 "$name: systemd did not get ready within 2 minutes"
exit 1
