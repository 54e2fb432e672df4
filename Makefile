# xengpu: everything is built into $(BUILD); each folder says in its module.mk what it makes.
#
#   make [BUILD=dir] [SAN=address,undefined|thread] [V=1] [WERROR=1]
#   make deps      installs the packages that are missing (as root, Debian 12 and 13)
#   make demo      installs what is missing, builds, and shows two guests sharing one device
#   make check     installs what is missing, builds, runs every test; check-unit, check-run: see tests/README.md
#   make xen-check the same programs on a real Xen hypervisor with real guests, in QEMU; T=name for one case
#   make fuzz      mutated input to what a guest reaches, FUZZ_SECONDS for each: tests/fuzz/README.md
#   make bench     remoted against direct use
#   make gpu-bundle  $(BUILD)/gpu, a folder that runs everything on a bare machine with a GPU
#   make install   PREFIX, LIBDIR, UNITDIR (systemd units) and DESTDIR respected

BUILD  ?= build
# One name for one file: what a make with an absolute path has built is known to the next one.
override BUILD := $(patsubst $(CURDIR)/%,%,$(abspath $(BUILD)))
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
SAN    ?=
V      ?= 0
# $(call tool,NAMES): the first of them that is installed, or nothing
tool    = $(shell for t in $(1); do command -v "$$t" && break; done 2>/dev/null)
CLANG  := $(or $(CLANG),$(call tool,clang))
CC     := $(if $(filter default,$(origin CC)),$(if $(SAN),$(CLANG),gcc),$(CC))
PYTHON ?= python3

ifeq ($(V),0)
Q := @
say = @printf '  %-7s %s\n' $(1) $(2)
else
Q :=
say = @:
endif

OPT      ?= -O2 -g
CPPFLAGS += -D_GNU_SOURCE -I. -I$(BUILD)/gen
CFLAGS   += -std=gnu11 $(OPT) -fPIC -pthread -fvisibility=hidden -fno-strict-aliasing \
            -Wall -Wextra -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wno-unused-parameter \
            -Wno-missing-field-initializers -Werror=implicit-function-declaration \
            -Werror=incompatible-pointer-types -Werror=int-conversion
LDFLAGS  += -pthread -Wl,-z,relro,-z,now
ifneq ($(SAN),)
# Drivers are called through the types of our own headers, which name the same structures otherwise: clang 17 and later object.
CFLAGS   += -fsanitize=$(SAN) -fno-omit-frame-pointer -O1 $(if $(and $(findstring clang,$(CC)),$(findstring undefined,$(SAN))),-fno-sanitize=function)
LDFLAGS  += -fsanitize=$(SAN)
else
LDFLAGS  += -Wl,--no-undefined
endif
ifneq ($(WERROR),)
CFLAGS   += -Werror
endif

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
.PHONY: all deps clean

# --- rules that the module.mk files call ---------------------------------------------------------
# $(call archive,NAME,SOURCES)               $(BUILD)/obj/libNAME.a
# $(call program,PATH,SOURCES,LIBS)          $(BUILD)/PATH, e.g. bin/xengpud
# $(call shared,PATH,SOURCES,LIBS,LDFLAGS)   $(BUILD)/PATH, e.g. lib/libxengpu.so
# LIBS mixes archives (obj/libNAME.a) and -lfoo; sources under $(BUILD)/gen are generated ones.

objs = $(patsubst $(BUILD)/gen/%.c,$(BUILD)/obj/gen/%.o,$(filter $(BUILD)/gen/%,$(1))) \
       $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out $(BUILD)/gen/%,$(1)))
archives = $(addprefix $(BUILD)/,$(filter obj/%.a,$(1)))
plainlibs = $(filter-out obj/%.a,$(1))

define archive_
ALL_SRCS += $(2)
$(BUILD)/obj/lib$(1).a: $(call objs,$(2))
	$$(call say,AR,$$@)
	@mkdir -p $$(@D)
	$$(Q)rm -f $$@ && ar rcs $$@ $(call objs,$(2))
endef
archive = $(eval $(call archive_,$(strip $(1)),$(2)))

define program_
ALL_SRCS += $(2)
all: $(BUILD)/$(1)
$(BUILD)/$(1): $(call objs,$(2)) $(call archives,$(3))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) -o $$@ $(call objs,$(2)) -Wl,--start-group $(call archives,$(3)) -Wl,--end-group $$(LDFLAGS) $(call plainlibs,$(3))
endef
program = $(eval $(call program_,$(strip $(1)),$(2),$(3)))

define shared_
ALL_SRCS += $(2)
all: $(BUILD)/$(1)
$(BUILD)/$(1): $(call objs,$(2)) $(call archives,$(3))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) -shared -o $$@ $(call objs,$(2)) -Wl,--start-group $(call archives,$(3)) -Wl,--end-group $$(LDFLAGS) $(4) $(call plainlibs,$(3))
endef
shared = $(eval $(call shared_,$(strip $(1)),$(2),$(3),$(4)))

$(BUILD)/obj/gen/%.o: $(BUILD)/gen/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Goals that install packages first run make again for the rest, when the packages are there.
FRONT_GOALS := deps clean check demo bench xen-check gpu-bundle
ifneq ($(filter-out $(FRONT_GOALS),$(or $(MAKECMDGOALS),all)),)

# A tree that lacks a package says which one before the compiler does. Sanitizers and whatever is made for tests need clang.
TEST_GOALS := tests fuzz fuzz-build gpu-folder unit-tests demo-programs bench-programs check-unit check-run $(filter $(BUILD)/tests/% $(BUILD)/bench/%,$(MAKECMDGOALS))
NEEDED     := build $(if $(SAN)$(filter $(TEST_GOALS),$(MAKECMDGOALS)),check)
ifneq ($(shell sh packaging/deps.sh missing $(NEEDED) >/dev/null 2>&1 && echo ok),ok)
$(info $(shell sh packaging/deps.sh missing $(NEEDED)))
$(error packages are missing; 'make deps' (as root) installs them)
endif

ALL_SRCS :=
include $(wildcard */module.mk */*/module.mk)
-include $(patsubst %.o,%.d,$(call objs,$(sort $(ALL_SRCS))))
endif

include tests/check.mk

clean:
	rm -rf $(BUILD)

deps:
	sh packaging/deps.sh install
