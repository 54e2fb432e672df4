# The goals for a bare machine: packages first, then make again.
# In continuous integration a warning of the plain build is an error.
.PHONY: check demo bench xen-check gpu-bundle
# $(call need,GROUPS): quiet unless something is to be done
need = $(Q)sh packaging/deps.sh missing $(1) >/dev/null || sh packaging/deps.sh install $(1)
JOBS ?= $(shell nproc 2>/dev/null || echo 1)
SUBMAKE = +$(Q)$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS)) V=$(V)

# The sanitizers' builds are separate trees below $(BUILD).
check:
	$(call need,build check)
	$(call say,BUILD,$(BUILD))
	$(SUBMAKE) BUILD=$(BUILD) SAN= $(if $(CI),WERROR=1) tests
	$(call say,BUILD,'$(BUILD)/asan (SAN=address,undefined)')
	$(SUBMAKE) BUILD=$(BUILD)/asan SAN=address,undefined tests
	$(SUBMAKE) BUILD=$(BUILD) SAN= fuzz-build
	$(call say,BUILD,'$(BUILD)/tsan (SAN=thread)')
	$(SUBMAKE) BUILD=$(BUILD)/tsan SAN=thread unit-tests
	$(Q)$(PYTHON) tests/run.py --build $(BUILD) --asan $(BUILD)/asan --tsan $(BUILD)/tsan $(T)

xen-check:
	$(call need,build check xen)
	$(call say,BUILD,$(BUILD))
	$(SUBMAKE) BUILD=$(BUILD) SAN= $(if $(CI),WERROR=1) all demo-programs
	$(Q)$(PYTHON) tests/xen/run.py --build $(BUILD) $(T)

demo:
	$(call need,build check)
	$(call say,BUILD,$(BUILD))
	$(SUBMAKE) BUILD=$(BUILD) SAN= all demo-programs
	$(Q)$(PYTHON) tools/demo.py --build $(BUILD)

bench:
	$(call need,build check bench)
	$(call say,BUILD,$(BUILD))
	$(SUBMAKE) BUILD=$(BUILD) SAN= all bench-programs
	$(Q)$(BUILD)/bin/xengpu-bench --output $(BUILD)/bench

gpu-bundle:
	$(call need,build check gpu)
	$(call say,BUILD,$(BUILD))
	$(SUBMAKE) BUILD=$(BUILD) SAN= gpu-folder
