#!/bin/bash
# Makes the bundle of the terminal with fyne package, into build/package/, and
# looks whether all is in it.
#
# The tool writes into its source folder: it counts FyneApp.toml's Build up,
# drops the comments, and leaves a generated file if it is interrupted. So it
# works on a copy that is thrown away.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD

tool=$root/bin/fyne
if [ "$(go version -m "$tool" 2>/dev/null | awk '$1 == "mod" {print $3}')" != v1.7.4 ]; then
	echo "package: building the fyne tool"
	GOFLAGS='' GOBIN=$root/bin go install fyne.io/tools/cmd/fyne@v1.7.4
fi

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard |
	while IFS= read -r -d '' file; do if [ -e "$file" ]; then printf '%s\0' "$file"; fi; done |
	tar --null --files-from=- --create | tar --extract --directory="$copy"

value() { sed -n "s/^$1 = \"*\([^\"]*\)\"*/\1/p" FyneApp.toml; }
name=$(value Name) id=$(value ID) version=$(value Version) build=$(value Build)

echo "package: building $name $version (build $build); minutes if for the first time"
cd "$copy"
# The tool adds its own C flags to those in the environment: with both, it
# would compile the window library once more.
env -u CGO_CFLAGS -u CGO_LDFLAGS -u GOFLAGS "$tool" package --target linux --release --tags x11,no_emoji \
	--app-version "$version" --app-build "$build"

out=$root/build/package
bundle=$out/quancun-$version-linux-$(go env GOARCH).tar.xz
mkdir -p "$out"
rm -f "$out"/*.tar.xz "$out"/*.sha256
mv "$name.tar.xz" "$bundle"
(cd "$out" && sha256sum "${bundle##*/}" >"${bundle##*/}.sha256")

contents=$(tar --list --file="$bundle")
for file in bin/quancun "share/applications/$id.desktop" "share/pixmaps/$id.png"; do
	if ! grep -qE "(^|/)usr/(local/)?$file\$" <<<"$contents"; then
		echo "package: $bundle lacks $file:" >&2
		echo "$contents" >&2
		exit 1
	fi
done
mkdir unpacked
tar --extract --directory=unpacked --strip-components=1 --file="$bundle"
program=$(find unpacked -path '*/bin/quancun')
tags=$(go version -m "$program" | sed -n 's/.*build\t-tags=//p')
for tag in x11 no_emoji release migrated_fynedo; do
	if [[ ",$tags," != *",$tag,"* ]]; then
		echo "package: $program was built with tags $tags, without $tag" >&2
		exit 1
	fi
done
echo "package: ${bundle#"$root"/} with $(du -h "$bundle" | cut -f1), program $(du -h "$program" | cut -f1), tags $tags"
