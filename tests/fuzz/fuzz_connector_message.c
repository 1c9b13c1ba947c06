/* Messages of the testing channel: what was decoded encodes to a text that decodes and encodes to
 * itself. */
#include "fuzz/fuzz.h"

#include "wire/connector_message.h"
#include "wire/json_reader.h"

static void check_functions(struct slice functions)
{
    struct buffer scratch = BUFFER_INIT;
    struct buffer out = BUFFER_INIT;
    char reason[DECODE_REASON_SIZE];
    struct message_function f;
    size_t position = 0;
    bool more = true;
    while (more) {
        bool good = marline__message_next_function(functions, &position, &f, &scratch, reason);
        more = good || reason[0] != '\0';
        if (good) {
            marline__buffer_clear(&out);
            marline__message_encode_function(&f, &out);
            FUZZ_CHECK(marline__json_is_valid(marline__buffer_slice(&out), JSON_ALLOW_NON_FINITE));
        }
    }
    marline__buffer_deinit(&scratch);
    marline__buffer_deinit(&out);
}

static void check_inputs(const struct message_execute_test *m)
{
    struct buffer out = BUFFER_INIT;
    FUZZ_CHECK(marline__message_strip_inputs(m->inputs, &out));
    FUZZ_CHECK(marline__json_is_valid(marline__buffer_slice(&out), JSON_ALLOW_NON_FINITE));
    marline__buffer_clear(&out);
    FUZZ_CHECK(marline__message_inputs(m->inputs, &m->test, &m->conversation, &out));
    FUZZ_CHECK(marline__json_is_valid(marline__buffer_slice(&out), JSON_ALLOW_NON_FINITE));
    marline__buffer_deinit(&out);
}

static bool encode_again(struct slice text, struct buffer *out)
{
    struct buffer scratch = BUFFER_INIT;
    struct connector_message m;
    char reason[DECODE_REASON_SIZE];
    bool good = marline__message_decode(text, &scratch, &m, reason) == DECODE_OK &&
                m.type != MESSAGE_UNKNOWN;
    if (good) {
        marline__message_encode(&m, out);
    }
    if (good && m.type == MESSAGE_REGISTER) {
        check_functions(m.registration.functions);
    }
    if (good && m.type == MESSAGE_EXECUTE_TEST) {
        check_inputs(&m.execute_test);
    }
    marline__buffer_deinit(&scratch);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer first = BUFFER_INIT;
    struct buffer second = BUFFER_INIT;
    if (encode_again(fuzz_input(data, size), &first)) {
        FUZZ_CHECK(encode_again(marline__buffer_slice(&first), &second));
        FUZZ_CHECK(
            marline__slice_equal(marline__buffer_slice(&first), marline__buffer_slice(&second)));
    }
    marline__buffer_deinit(&first);
    marline__buffer_deinit(&second);
    return 0;
}
