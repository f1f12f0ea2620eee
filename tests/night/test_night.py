"""One device, one night: from the announcement to the verdict."""

from custom_components.firmware_hub.core.model import InstallState
from tests.night.conftest import NEW, House


async def test_an_approved_device_is_installed_with_one_command_and_proved(house: House) -> None:
    device = await house.open_device("plug")
    await house.approve("plug")
    install = await house.verdict("plug")
    assert (install.state, install.reason) == (InstallState.SUCCEEDED, None)
    assert device.version == NEW
    assert await house.commands("plug") == 1
