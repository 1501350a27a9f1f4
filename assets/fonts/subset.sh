#!/bin/sh
# Makes the two fonts of the terminal, and the one of its papers, from Debian's fonts-noto-cjk (OFL, see
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

# A PDF is written with curves of the second degree: no library that writes PDF
# and is kept takes those of OpenType. A thousandth of an em is the width of
# nothing on paper.
subset paper.otf Regular --unicodes="$latin,$signs" --text-file="$gb2312"
/usr/bin/python3 - <<'PY'
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont, newTable

font = TTFont('paper.otf')
drawn, glyphs = font.getGlyphSet(), {}
for name in font.getGlyphOrder():
    pen = TTGlyphPen(drawn)
    drawn[name].draw(Cu2QuPen(pen, 1.0, reverse_direction=True))
    glyphs[name] = pen.glyph()
font['loca'], font['glyf'] = newTable('loca'), newTable('glyf')
font['glyf'].glyphOrder, font['glyf'].glyphs = font.getGlyphOrder(), glyphs
for table in ('CFF ', 'VORG'):
    if table in font:
        del font[table]
most = font['maxp']
most.tableVersion = 0x00010000
for name in ('Zones', 'TwilightPoints', 'Storage', 'FunctionDefs', 'InstructionDefs', 'StackElements',
             'SizeOfInstructions', 'ComponentElements', 'ComponentDepth'):
    setattr(most, 'max' + name, 0)
most.maxZones = 1
font['post'].formatType = 3.0
font.sfntVersion = '\0\1\0\0'
font.save('Quancun-Paper.ttf')
PY
rm paper.otf
ls -l ./Quancun-*
