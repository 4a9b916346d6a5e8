"""A package to upload, and the folder that it will come to."""

import os
import zipfile

PARTS = {"METADATA": "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n", "WHEEL": "Wheel-Version: 1.0\n", "RECORD": ""}

os.makedirs("out", exist_ok=True)
with zipfile.ZipFile("sample-1.0-py3-none-any.whl", "w") as wheel:
    for name, text in PARTS.items():
        wheel.writestr(zipfile.ZipInfo(f"sample-1.0.dist-info/{name}"), text)
