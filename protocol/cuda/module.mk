# The CUDA ABI, module images, and what both sides know of the API.
$(call archive,protocol_cuda,$(sort $(wildcard protocol/cuda/*.c)))

.PHONY: cuda-abi-check
cuda-abi-check:
	$(Q)$(PYTHON) protocol/cuda/abi_check.py --cc gcc; test $$? -eq 0 -o $$? -eq 77
