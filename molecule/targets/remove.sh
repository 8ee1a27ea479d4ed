#!/bin/sh
# Remove a container host with its engine's disk: remove.sh NAME
name=$1
docker rm --force "$name" 2>/dev/null
docker volume rm "$name-docker" 2>/dev/null
exit 0
