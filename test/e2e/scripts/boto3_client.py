"""Drives a gateway with whichever boto3 runs this; ends non-zero at the first thing that is not as S3 has it."""

import io
import os
import sys

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, access_key, secret_key = sys.argv[1:4]
s3 = boto3.client(
    "s3",
    endpoint_url=endpoint,
    aws_access_key_id=access_key,
    aws_secret_access_key=secret_key,
    region_name="us-east-1",
    config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
)
bucket = "boto3-" + boto3.__version__.replace(".", "-")


def fails(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response
        return
    raise AssertionError(f"{code} was expected")


s3.create_bucket(Bucket=bucket)
for body in (b"", b"x", os.urandom(4096), os.urandom(3 * 1024 * 1024 + 17)):
    for key in ("plain", "with space+plus/ünï", "a//b/../c", "trailing/"):
        s3.put_object(Bucket=bucket, Key=key, Body=body, Metadata={"name": "value"}, ContentEncoding="identity")
        got = s3.get_object(Bucket=bucket, Key=key)
        assert got["Body"].read() == body
        assert got["Metadata"] == {"name": "value"}
        assert got["ContentEncoding"] == "identity", got["ContentEncoding"]
        if len(body) > 100:
            part = s3.get_object(Bucket=bucket, Key=key, Range="bytes=10-99")
            assert part["Body"].read() == body[10:100]
            assert part["ContentRange"] == f"bytes 10-99/{len(body)}"

large = os.urandom(23 * 1024 * 1024 + 5)
s3.upload_fileobj(io.BytesIO(large), bucket, "large", Config=TransferConfig(multipart_threshold=8 * 1024 * 1024))
out = io.BytesIO()
s3.download_fileobj(bucket, "large", out)
assert out.getvalue() == large
assert s3.head_object(Bucket=bucket, Key="large")["ETag"].endswith('-3"')
s3.copy({"Bucket": bucket, "Key": "large"}, bucket, "copied")
assert s3.get_object(Bucket=bucket, Key="copied")["Body"].read() == large

for algorithm in ("CRC32", "CRC32C", "SHA1", "SHA256"):
    if algorithm == "CRC32C":
        try:
            import awscrt  # noqa: F401
        except ImportError:
            continue
    put = s3.put_object(Bucket=bucket, Key="sum", Body=b"checked" * 1000, ChecksumAlgorithm=algorithm)
    head = s3.head_object(Bucket=bucket, Key="sum", ChecksumMode="ENABLED")
    assert head["Checksum" + algorithm] == put["Checksum" + algorithm]

fails("NoSuchKey", s3.get_object, Bucket=bucket, Key="nothing")
fails("NoSuchBucket", s3.list_objects_v2, Bucket="no-such-bucket-here")
fails("BucketNotEmpty", s3.delete_bucket, Bucket=bucket)
fails("BadDigest", s3.put_object, Bucket=bucket, Key="bad", Body=b"body", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")

keys = [f"list/{i:04}" for i in range(1050)]
for key in keys:
    s3.put_object(Bucket=bucket, Key=key, Body=b"")
listed = [o["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="list/") for o in page["Contents"]]
assert listed == keys
url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "plain"})
assert "X-Amz-Signature" in url or "Signature" in url

everything = [
    {"Key": o["Key"]} for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket) for o in page["Contents"]
]
for start in range(0, len(everything), 1000):
    result = s3.delete_objects(Bucket=bucket, Delete={"Objects": everything[start : start + 1000]})
    assert "Errors" not in result, result["Errors"]
s3.delete_bucket(Bucket=bucket)
print("ok", boto3.__version__)
