/* Where an OTLP receiver takes traces. */
#ifndef HUB_OTLP_URL_H
#define HUB_OTLP_URL_H

/* The URL as it is, with /v1/traces behind one without a path (otel.md EP-02). Returns owned text;
 * NULL and a sentence in `error` when it is no http(s) URL. */
char *otlp_traces_url(const char *url, char error[256]);

#endif
