"""Builds the sample without anything to download."""

import os
import zipfile

PARTS = {
    "sample.py": "word = 1\n",
    "sample-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n",
    "sample-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "sample-1.0.dist-info/RECORD": "",
}


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "sample-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
        for part, text in PARTS.items():
            wheel.writestr(part, text)
    return name
