# Benchmarks; README.md tells how they measure. The programs are built by the rules of tests/module.mk.

# A wrapper, so that the program of the tree at hand runs.
all: $(BUILD)/bin/xengpu-bench
$(BUILD)/bin/xengpu-bench: bench/module.mk
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q)printf '#!/bin/sh\nexec %s "%s/bench/xengpu_bench.py" --build "%s" "$$@"\n' \
		'$(PYTHON)' '$(CURDIR)' '$(abspath $(BUILD))' >$@.new && chmod 755 $@.new && mv $@.new $@
