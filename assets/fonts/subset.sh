#!/bin/sh
# Makes the two fonts of the terminal from Debian's fonts-noto-cjk (OFL, see
# OFL.txt). Regular carries every Han character of the family, because the
# names of people use them; Bold carries GB 2312, because headings are ours.
# Needs: apt-get install fonts-noto-cjk fonttools
set -eu
cd "$(dirname "$0")"
from=${1:-/usr/share/fonts/opentype/noto}
latin='U+0020-007E,U+00A0-017F,U+2010-2027,U+2030-205E,U+20AC,U+2116,U+2190-2193,U+2460-2469'
signs='U+25A0-25CF,U+2605,U+2606,U+2713,U+3000-303F,U+FE30-FE4F,U+FF00-FFEF,U+FFFD'
han='U+3400-4DBF,U+4E00-9FFF,U+F900-FAFF,U+20000-3FFFF'

subset() { # name, weight, more options
	name=$1 weight=$2
	shift 2
	/usr/bin/python3 -m fontTools.subset "$from/NotoSansCJK-$weight.ttc" --font-number=2 \
		--no-hinting --layout-features='' --name-IDs='0,1,2,3,4,5,6,13,14' \
		--output-file="$name" "$@"
}

gb2312=$(mktemp)
trap 'rm -f "$gb2312"' EXIT
/usr/bin/python3 - >"$gb2312" <<'PY'
# The 6763 ideographs of GB 2312: rows 16 to 87 of 94.
for row in range(0xB0, 0xF8):
    for cell in range(0xA1, 0xFF):
        try:
            print(bytes([row, cell]).decode('gb2312'), end='')
        except UnicodeDecodeError:
            pass
PY
subset Quancun-Regular.otf Regular --unicodes="$latin,$signs,$han"
subset Quancun-Bold.otf Bold --unicodes="$latin,$signs" --text-file="$gb2312"
ls -l ./*.otf
