#!/bin/sh
# Makes the root file system of the image: PROGRAM, the libraries that it is linked with, certificates of authorities, and
# a user without rights. Takes PROGRAM and the FOLDER to make; runs on the Debian whose libraries the image gets.
set -eu
program=$1
root=$2
mkdir -p "$root/usr/bin" "$root/etc/ssl/certs" "$root/tmp" "$root/var/lib/plumb"
chmod 1777 "$root/tmp"
# Where the file is owned by root, the user of the image could not write its record.
chown 65532:65532 "$root/var/lib/plumb" 2>/dev/null || true
install -m 755 "$program" "$root/usr/bin/plumb"

if [ ! -s /etc/ssl/certs/ca-certificates.crt ]; then
    apt-get update -qq && apt-get install -qq -y --no-install-recommends ca-certificates libssl3 >/dev/null
fi
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"

# The loader and every library, at the paths where the program looks for them; and what finds hosts by their names.
{
    ldd "$program" | awk '/=> \//{print $3} /^\t\//{print $1}'
    for library in libnss_dns.so.2 libnss_files.so.2 libresolv.so.2; do
        find /lib /usr/lib -name "$library" 2>/dev/null | head -n 1
    done
} | sort -u | while read -r library; do
    [ -e "$library" ] || continue
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done

printf 'root:x:0:0:root:/root:/sbin/nologin\nplumb:x:65532:65532:plumb:/var/lib/plumb:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nplumb:x:65532:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
