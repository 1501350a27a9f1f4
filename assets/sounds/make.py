#!/usr/bin/env python3
"""Makes the sounds of the terminal: short, soft, distinct without colour.

ok: two notes up. attention: the same note twice. refuse: two notes down, low.
key: a click. erase: a dull one. accepted: one high note.
"""
import math
import struct
import wave

RATE = 22050


def tone(hz, ms, volume=0.35):
    n = RATE * ms // 1000
    edge = min(n // 2, RATE * 8 // 1000)
    for i in range(n):
        gain = min(1, i / edge, (n - i) / edge) * math.exp(-2.5 * i / n)
        sample = math.sin(2 * math.pi * hz * i / RATE) + 0.2 * math.sin(4 * math.pi * hz * i / RATE)
        yield volume * gain * sample / 1.2


def silence(ms):
    return [0.0] * (RATE * ms // 1000)


SOUNDS = {
    "ok": [*tone(784, 110), *silence(15), *tone(1175, 230)],
    "attention": [*tone(880, 140), *silence(90), *tone(880, 200)],
    "refuse": [*tone(392, 170), *silence(30), *tone(294, 300)],
    "key": [*tone(1900, 22, 0.22)],
    "erase": [*tone(620, 45, 0.3)],
    "accepted": [*tone(1175, 160)],
}

for name, samples in SOUNDS.items():
    with wave.open(name + ".wav", "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(RATE)
        w.writeframes(b"".join(struct.pack("<h", round(32767 * s)) for s in samples))
