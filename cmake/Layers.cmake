# A layer is a folder and a static library. Its headers are reached as "<layer>/<file>.h" only by
# targets that link it: the include path of a layer holds one symbolic link, named after the layer.
# So an include that points the wrong way does not compile (tests/unit/layers proves it).
#
#   marline_layer(NAME wire FOLDER sdk/src/wire SOURCES a.c b.c DEPENDS marline_base [COMPACT [FAST b.c]])
#
# COMPACT: compiled for size, because it waits for a network whenever it runs, but for the FAST files.
function(marline_layer)
    cmake_parse_arguments(ARG "COMPACT" "NAME;FOLDER" "SOURCES;FAST;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
    set(target marline_${ARG_NAME})
    set(view ${CMAKE_BINARY_DIR}/layers/${ARG_NAME})
    file(MAKE_DIRECTORY ${view})
    file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${ARG_FOLDER} ${view}/${ARG_NAME} SYMBOLIC)
    list(TRANSFORM ARG_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/${ARG_FOLDER}/)
    list(TRANSFORM ARG_FAST PREPEND ${CMAKE_SOURCE_DIR}/${ARG_FOLDER}/)
    add_library(${target} STATIC ${ARG_SOURCES})
    if(ARG_COMPACT)
        set(compact ${ARG_SOURCES})
        list(REMOVE_ITEM compact "" ${ARG_FAST})
        set_property(SOURCE ${compact} APPEND PROPERTY COMPILE_OPTIONS $<$<NOT:$<CONFIG:Debug>>:-Os>)
    endif()
    target_include_directories(${target} PUBLIC ${view})
    target_link_libraries(${target} PUBLIC ${ARG_DEPENDS} PRIVATE marline_warnings ${ARG_PRIVATE_DEPENDS})
endfunction()
