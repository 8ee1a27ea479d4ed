#!/bin/sh
# Remove a container host with its engine's disk: remove.sh NAME
set -eu
name=$1
if docker container inspect "$name" >/dev/null 2>&1; then docker rm --force "$name"; fi
if docker volume inspect "$name-docker" >/dev/null 2>&1; then docker volume rm "$name-docker"; fi
