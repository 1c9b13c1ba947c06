# One private target carries the warnings and sanitizers of every target of the project.
add_library(marline_warnings INTERFACE)
target_compile_options(marline_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
    -Wcast-qual -Wwrite-strings -Wformat=2 -Wundef -Wvla -Wimplicit-fallthrough
    $<$<BOOL:${MARLINE_WERROR}>:-Werror>)
target_compile_definitions(marline_warnings INTERFACE _GNU_SOURCE)

if(MARLINE_SANITIZE)
    add_compile_options(-fsanitize=${MARLINE_SANITIZE} -fno-omit-frame-pointer -g)
    add_link_options(-fsanitize=${MARLINE_SANITIZE})
    if(MARLINE_SANITIZE MATCHES undefined)
        add_compile_options(-fno-sanitize-recover=undefined)
    endif()
endif()
