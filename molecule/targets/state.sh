#!/bin/sh
# All that a plan must not change: files, packages, the engine's process, its containers, and that systemd was not reloaded.
find /etc -type f -exec sha256sum {} + | sort -k2
dpkg-query --show
systemctl show docker --property=MainPID,ActiveEnterTimestamp 2>/dev/null
docker ps --no-trunc --format '{{.ID}} {{.CreatedAt}}' 2>/dev/null
nvidia-stub events
