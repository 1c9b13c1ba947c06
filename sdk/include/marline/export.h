/* Marks what the shared library exports. */
#ifndef MARLINE_EXPORT_H
#define MARLINE_EXPORT_H

#define MARLINE_API __attribute__((visibility("default")))

#ifdef __cplusplus
#define MARLINE_BEGIN_DECLS extern "C" {
#define MARLINE_END_DECLS   }
#else
#define MARLINE_BEGIN_DECLS
#define MARLINE_END_DECLS
#endif

#endif
