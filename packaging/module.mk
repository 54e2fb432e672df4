# make install: everything lies together in $(LIBDIR)/xengpu, as it does in the build, because programs find their libraries beside
# themselves, and because a libcuda.so.1 in $(LIBDIR) itself would be found by programs that did not ask for it.
UNITDIR    ?= $(PREFIX)/lib/systemd/system
MODULESDIR ?= $(PREFIX)/lib/modules-load.d
.PHONY: install uninstall
install: all
	$(call say,INSTALL,'$(DESTDIR)$(LIBDIR)/xengpu')
	$(Q)DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' UNITDIR='$(UNITDIR)' MODULESDIR='$(MODULESDIR)' \
		sh packaging/install.sh '$(BUILD)'
uninstall:
	$(Q)rm -rf '$(DESTDIR)$(LIBDIR)/xengpu' '$(DESTDIR)$(PREFIX)/share/doc/xengpu'
	$(Q)for p in xengpud xengpu xengpu-agent; do rm -f '$(DESTDIR)$(PREFIX)'/bin/$$p '$(DESTDIR)$(UNITDIR)'/$$p.service \
		'$(DESTDIR)$(MODULESDIR)'/$$p.conf; done
