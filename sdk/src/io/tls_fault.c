/* A table of words and advice; see tls_fault.h. */
#include "io/tls_fault.h"

#include <stddef.h>
#include <string.h>

static const struct tls_fault ca_file = {
    "the CA file cannot be used: give a readable PEM file of certificates", true};
static const struct tls_fault own_certificate = {
    "the client certificate cannot be used: give a readable PEM file of it", true};
static const struct tls_fault own_key = {
    "the key of the client certificate cannot be used: give the PEM file of that very key", true};
static const struct tls_fault other_key = {
    "a CA has the right name, but another key: give the CA file that signed its certificate", true};
static const struct tls_fault unknown_ca = {
    "its certificate is of no known CA: give the CA file that signed it", true};
static const struct tls_fault expired = {
    "its certificate has expired: renew it there, or set the clock here", true};
static const struct tls_fault too_early = {
    "its certificate is not valid yet: set the clock here or there", true};
static const struct tls_fault other_host = {
    "its certificate is of another host: use a name of the certificate in the URL", true};
static const struct tls_fault wants_ours = {"it wants a client certificate: give one, with its key",
                                            true};
static const struct tls_fault refuses_ours = {
    "it refuses the client certificate: give one of a CA that it trusts", true};
static const struct tls_fault ours_expired = {
    "it refuses the client certificate, which has expired: renew it", true};
/* Also seen while a server is being replaced behind a balancer: worth a retry. */
static const struct tls_fault no_tls = {"it answers without TLS: is the URL's scheme http?", false};

static const struct {
    const char *words;
    const struct tls_fault *fault;
} faults[] = {
    {"error setting certificate file", &ca_file},
    {"could not load PEM client certificate", &own_certificate},
    {"unable to set private key file", &own_key},
    /* OpenSSL meets the other key when it checks a signature, and libcurl passes its first word on,
     * not that verification has failed. */
    {"asn1 encoding routines", &other_key},
    {"rsa routines", &other_key},
    {"elliptic curve routines", &other_key},
    {"issuer certificate", &unknown_ca},
    {"self-signed certificate", &unknown_ca},
    {"certificate has expired", &expired},
    {"certificate is not yet valid", &too_early},
    {"alternative certificate subject name", &other_host},
    {"hostname mismatch", &other_host},
    {"IP address mismatch", &other_host},
    {"certificate signature failure", &other_key},
    {"alert certificate required", &wants_ours},
    {"alert unknown ca", &refuses_ours},
    {"alert bad certificate", &refuses_ours},
    {"alert decrypt error", &refuses_ours},
    {"alert certificate unknown", &refuses_ours},
    {"alert certificate revoked", &refuses_ours},
    {"alert certificate expired", &ours_expired},
    {"wrong version number", &no_tls},
};

const struct tls_fault *marline__tls_fault_of(const char *text)
{
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (strstr(text, faults[i].words)) {
            return faults[i].fault;
        }
    }
    return NULL;
}
