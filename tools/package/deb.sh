#!/bin/bash
# Makes the Debian packages of the terminal, from its bundle, and of the
# upstream, into build/package/. It needs nothing but what Debian has always.
set -euo pipefail
cd "$(dirname "$0")/../.."

out=$PWD/build/package
version=$(sed -n 's/^Version = "\(.*\)"/\1/p' FyneApp.toml)
arch=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022

# pack NAME makes a package of $work/NAME.
pack() {
	local name=$1 root=$work/$1 script
	mkdir -p "$root/DEBIAN"
	sed -e "s/@VERSION@/$version/" -e "s/@ARCH@/$arch/" -e "s/@SIZE@/$(du -sk "$root" | cut -f1)/" \
		"packaging/deb/$name.control" >"$root/DEBIAN/control"
	if [ -e "packaging/deb/$name.conffiles" ]; then
		install -m 0644 "packaging/deb/$name.conffiles" "$root/DEBIAN/conffiles"
	fi
	for script in postinst prerm; do
		install -m 0755 "packaging/deb/$name.$script" "$root/DEBIAN/$script"
	done
	rm -f "$out/${name}_"*.deb
	dpkg-deb --root-owner-group -Zxz --build "$root" "$out/${name}_${version}_$arch.deb" >/dev/null
	echo "package: build/package/${name}_${version}_$arch.deb with $(du -h "$out/${name}_${version}_$arch.deb" | cut -f1)"
}

mkdir "$work/bundle" "$work/quancun" "$work/campusd"
tar --extract --directory="$work/bundle" --strip-components=1 --file="$(echo "$out"/quancun-*.tar.xz)"
make --no-print-directory --silent -C "$work/bundle" install DESTDIR="$work/quancun" PREFIX=/usr >/dev/null
install -D -m 0644 packaging/systemd/quancun.service "$work/quancun/lib/systemd/system/quancun.service"
install -D -m 0644 packaging/xorg/20-quancun.conf "$work/quancun/usr/share/X11/xorg.conf.d/20-quancun.conf"
install -D -m 0644 packaging/terminal.toml "$work/quancun/etc/quancun/terminal.toml"
pack quancun

go build -ldflags='-s -w' -o "$work/campusd/usr/bin/campusd" ./cmd/campusd
install -D -m 0644 packaging/systemd/campusd.service "$work/campusd/lib/systemd/system/campusd.service"
install -D -m 0640 packaging/campusd.toml "$work/campusd/etc/campusd/campusd.toml"
pack campusd

contents=$(dpkg-deb --contents "$out/quancun_${version}_$arch.deb")
for file in usr/bin/quancun usr/share/applications lib/systemd/system/quancun.service etc/quancun/terminal.toml; do
	if ! grep -q " ./$file" <<<"$contents"; then
		echo "package: the terminal's package lacks $file" >&2
		exit 1
	fi
done
