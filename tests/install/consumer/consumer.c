/* A program outside the project: it sees only what is installed. Prints one span it recorded. */
#include <stdio.h>

#include <marline/marline.h>

MARLINE_ENDPOINT(echo, .description = "Says it again")
{
    return marline_output_text(call, marline_input_text(call, "input", ""));
}

int main(void)
{
    marline_provider *provider = NULL;
    marline_exporter exporter;
    marline_memory_exporter *memory = marline_memory_exporter_create(&exporter);
    if (!memory || marline_provider_create(NULL, &provider, NULL) != MARLINE_OK ||
        marline_provider_add_batch_processor(provider, &exporter, NULL, NULL) != MARLINE_OK) {
        return 1;
    }
    marline_span span =
        marline_span_start(marline_tracer_get(provider, "consumer", NULL), "function.hello", NULL);
    marline_span_end(&span);
    if (marline_provider_force_flush(provider, 5000) != MARLINE_OK ||
        marline_memory_exporter_count(memory) != 1) {
        return 1;
    }
    const marline_span_data *data = marline_memory_exporter_span(memory, 0);
    printf("marline %s: %.*s, %zu endpoint\n", marline_version(), (int)data->name.size,
           data->name.data, marline_endpoint_declared_count());
    (void)marline_provider_shutdown(provider, 1000);
    marline_provider_destroy(provider);
    return 0;
}
