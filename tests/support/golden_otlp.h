/* One request in both formats, encoded by protoc 3.21.12; its span is golden_span. */
#ifndef MARLINE_TESTS_GOLDEN_OTLP_H
#define MARLINE_TESTS_GOLDEN_OTLP_H

static const char golden_json[] =
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value"
    "\":{\"stringValue\":\"t\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"s\"},\"spans\":"
    "[{\"traceId\":\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":\"2122232425262728\",\""
    "traceState\":\"a=b\",\"parentSpanId\":\"3132333435363738\",\"name\":\"n\",\"kind\":3"
    ",\"startTimeUnixNano\":\"1\",\"endTimeUnixNano\":\"9223372036854775808\",\"attribute"
    "s\":[{\"key\":\"i\",\"value\":{\"intValue\":\"-1\"}},{\"key\":\"d\",\"value\":{\"dou"
    "bleValue\":1.5}},{\"key\":\"b\",\"value\":{\"boolValue\":false}},{\"key\":\"y\",\"va"
    "lue\":{\"bytesValue\":\"/wA=\"}},{\"key\":\"e\",\"value\":{\"stringValue\":\"\"}},{\""
    "key\":\"z\",\"value\":{}},{\"key\":\"l\",\"value\":{\"arrayValue\":{\"values\":[{\"i"
    "ntValue\":\"300\"}]}}},{\"key\":\"m\",\"value\":{\"kvlistValue\":{\"values\":[{\"key"
    "\":\"q\",\"value\":{\"boolValue\":true}}]}}}],\"droppedAttributesCount\":4,\"events\""
    ":[{\"timeUnixNano\":\"3\",\"name\":\"exception\",\"droppedAttributesCount\":1}],\"li"
    "nks\":[{\"traceId\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"spanId\":\"bbbbbbbbbbbbbb"
    "bb\",\"flags\":256}],\"status\":{\"message\":\"boom\",\"code\":2},\"flags\":771}]}]}"
    "]}";

static const char golden_protobuf_hex[] =
    "0a97020a150a130a0c736572766963652e6e616d6512030a017412fd010a030a017312f5010a10010203"
    "0405060708090a0b0c0d0e0f10120821222324252627281a03613d62220831323334353637382a016e30"
    "033901000000000000004100000000000000804a100a0169120b18ffffffffffffffffff014a0e0a0164"
    "120921000000000000f83f4a070a0162120210004a090a017912043a02ff004a070a016512020a004a05"
    "0a017a12004a0c0a016c12072a050a0318ac024a100a016d120b32090a070a01711202100150045a1609"
    "03000000000000001209657863657074696f6e20016a210a10aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa12"
    "08bbbbbbbbbbbbbbbb35000100007a081204626f6f6d1802850103030000";

#endif
