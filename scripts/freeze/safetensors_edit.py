"""Changes the bytes of one tensor in a safetensors file."""
import json
import struct


def change(path, name, work):
    """`work` gets the bytes of the tensor and gives back as many."""
    data = path.read_bytes()
    start = 8 + struct.unpack_from("<Q", data)[0]
    begin, end = (start + at for at in json.loads(data[8:start])[name]["data_offsets"])
    changed = work(data[begin:end])
    assert len(changed) == end - begin, f"{name}: {end - begin} bytes became {len(changed)}"
    mode = path.stat().st_mode
    path.chmod(0o600)
    path.write_bytes(data[:begin] + changed + data[end:])
    path.chmod(mode)
