import pytest
import torch
from torch import nn

from plumbline_training.depthwise import DepthwiseConv2d

CHANNELS = 8


def gradients(conv: nn.Module, x_BCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Outputs, gradients by input and gradients by weight of the sum of outputs times a fixed pattern."""
    inputs = x_BCHW.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=x_BCHW.dtype == torch.bfloat16):
        outputs = conv(inputs)
    pattern = torch.linspace(-1, 1, outputs.numel()).reshape(outputs.shape)
    (outputs.float() * pattern).sum().backward()
    assert inputs.grad is not None
    assert isinstance(conv.weight, nn.Parameter)
    assert conv.weight.grad is not None
    return outputs.detach().float(), inputs.grad.float(), conv.weight.grad.float()


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(16, 12), (7, 9)])
def test_values_and_gradients_in_bfloat16_are_the_plain_convolution_s(
    kernel: int, stride: int, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    ours = DepthwiseConv2d(CHANNELS, kernel, stride)
    plain = nn.Conv2d(CHANNELS, CHANNELS, kernel, stride, kernel // 2, groups=CHANNELS, bias=False)
    plain.load_state_dict(ours.state_dict())
    x_BCHW = torch.randn(4, CHANNELS, *size).to(memory_format=torch.channels_last)
    found = gradients(ours, x_BCHW.bfloat16())
    wanted = gradients(plain, x_BCHW.bfloat16().float())
    for ours_value, plain_value in zip(found, wanted, strict=True):
        assert ours_value.shape == plain_value.shape
        scale = plain_value.abs().max()
        assert (ours_value - plain_value).abs().max() < 0.02 * scale
