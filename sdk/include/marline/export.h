/* Marks what the shared library exports. */
#ifndef MARLINE_EXPORT_H
#define MARLINE_EXPORT_H

/* A function that the shared library exports. */
#define MARLINE_API __attribute__((visibility("default")))

/* Around the declarations of each header, so that C++ programs link too. */
#ifdef __cplusplus
#define MARLINE_BEGIN_DECLS extern "C" {
#define MARLINE_END_DECLS   }
#else
#define MARLINE_BEGIN_DECLS
#define MARLINE_END_DECLS
#endif

#endif
