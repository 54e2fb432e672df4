# What everything of ours that speaks CUDA knows of it: the ABI, module images, names and texts.
$(call archive,cuda_common,$(sort $(wildcard cuda/*.c)))

# The API itself, for whoever is a device (cuda/device.h).
CUDA_API_SRCS := $(sort $(wildcard cuda/api/*.c))
$(call archive,cuda_api,$(CUDA_API_SRCS))

.PHONY: cuda-abi-check
cuda-abi-check:
	$(Q)$(PYTHON) cuda/abi/check.py --cc gcc; test $$? -eq 0 -o $$? -eq 77
