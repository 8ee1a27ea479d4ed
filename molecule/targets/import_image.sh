#!/bin/sh
# Run in a target with an engine: give it the image `probe`, a shell and a Python made of the target's own files, in a second.
set -eu
libraries=$(ldd /usr/bin/python3 /bin/sh /bin/sleep /usr/lib/python3.*/lib-dynload/*.so | grep -o '/[^ )]*' | grep -v ':$' | sort -u)
tar --create --dereference --absolute-names --exclude=__pycache__ --exclude=test --exclude=idlelib \
  /usr/bin/python3 /bin/sh /bin/sleep /usr/lib/python3.* $libraries | docker import - probe
