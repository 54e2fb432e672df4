/*
 * The release and the version of the protocol; they are defined only here. Guest and host work
 * together when they speak the same version of the protocol (README.md, "Versions"); releases are
 * for people.
 */
#ifndef XG_VERSION_H
#define XG_VERSION_H

#define XG_RELEASE          "0.1.0"
#define XG_PROTOCOL_VERSION 1

#define XG_VERSION_STRING_(x)    #x
#define XG_VERSION_STRING(x)     XG_VERSION_STRING_(x)
#define XG_PROTOCOL_VERSION_TEXT XG_VERSION_STRING(XG_PROTOCOL_VERSION)
/* What --version says after the program's name. */
#define XG_VERSION_TEXT XG_RELEASE " (protocol " XG_PROTOCOL_VERSION_TEXT ")"
/* What to do where two ends do not fit. */
#define XG_VERSION_ADVICE "install the same release of xengpu on both sides"

#endif
