# build/gpu, a folder that runs everything on a bare machine with a GPU: README.md. The goal gpu-bundle, in tests/check.mk, installs
# what is missing and comes here.
GPU_GLIBC ?= 2.35

.PHONY: gpu-folder
gpu-folder: gpu-programs
	$(call say,BUNDLE,$(BUILD)/gpu)
	$(Q)$(PYTHON) tests/gpu/bundle.py --build $(BUILD) --output $(BUILD)/gpu --glibc $(GPU_GLIBC)
