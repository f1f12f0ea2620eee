"""The names of Shelly's builds."""

from __future__ import annotations

import pytest

from custom_components.firmware_hub.core.shelly_builds import version_of_build


@pytest.mark.parametrize(
    ("build", "version"),
    [
        ("20230913-112003/v1.14.0-gcb84623", "1.14.0"),
        ("20210115-103101/v1.9.4@e2732e05", "1.9.4"),
        ("20220809-125346/v1.12-g99f7e0b", "1.12"),
        ("20220809-125346/v1.12", "1.12"),
    ],
)
def test_the_tag_of_a_build_is_its_version(build: str, version: str) -> None:
    assert version_of_build(build) == version


@pytest.mark.parametrize(
    "build",
    [
        "",
        "1.14.0",
        "20191217-140757/1047-long-id-for-shelly-devices@a0661583",
        "20190531-075812/v1.5.0-hotfix2@022ec015",
        "20231107-162609/v1.14.1-rc1-g0617c15",
        "20190516-073020/master@ea1b23db",
        "20230913-112003/v1-gcb84623",
        "20230913-112003/v1.2.3.4.5-gcb84623",
        "٢0230913-112003/v1.14.0-gcb84623",
        "20230913-112003/v1.14.0-gcb84623\n",
    ],
)
def test_a_build_without_a_plain_tag_is_kept_whole(build: str) -> None:
    assert version_of_build(build) == build
