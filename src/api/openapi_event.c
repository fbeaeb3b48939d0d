/* SPDX-License-Identifier: Apache-2.0 */
/* CloudEvents in the OpenAPI document: what an operation takes and answers beside its own body
 * (api/cloudevents.h). */
#include "api/cloudevents.h"
#include "api/openapi.h"

#define TEXT "{\"type\":\"string\"}"
#define NAMED "{\"type\":\"string\",\"minLength\":1}"

void gal_doc_event_parameters(struct gal_buf *out)
{
    gal_doc_ref(out, NULL, "parameters", "", "EventSpecversion");
    gal_doc_ref(out, NULL, "parameters", "", "EventId");
    gal_doc_ref(out, NULL, "parameters", "", "EventSource");
    gal_doc_ref(out, NULL, "parameters", "", "EventType");
}

void gal_doc_event_content(struct gal_buf *out, bool is_answer)
{
    gal_doc_open(out, GAL_EVENT_MEDIA_TYPE, '{');
    gal_doc_ref(out, "schema", "schemas", "", is_answer ? "CloudEventAnswer" : "CloudEvent");
    gal_doc_close(out, '}');
}

void gal_doc_event_headers(struct gal_buf *out)
{
    gal_doc_ref(out, "ce-specversion", "headers", "", "EventSpecversion");
    gal_doc_ref(out, "ce-id", "headers", "", "EventId");
    gal_doc_ref(out, "ce-source", "headers", "", "EventSource");
    gal_doc_ref(out, "ce-type", "headers", "", "EventType");
    gal_doc_ref(out, "ce-time", "headers", "", "EventTime");
}

void gal_doc_event_schemas(struct gal_buf *out)
{
    gal_doc_raw(
        out, "CloudEvent",
        "{\"type\":\"object\",\"description\":\"a CloudEvent 1.0 whose data is the body that the "
        "operation takes as application/json, or as datacontenttype says; answered by an event\","
        "\"properties\":{\"specversion\":{\"const\":\"1.0\"},\"id\":" NAMED ",\"source\":" NAMED
        ",\"type\":" NAMED ",\"datacontenttype\":{\"type\":\"string\",\"default\":"
        "\"application/json\"},\"time\":{\"type\":\"string\",\"format\":\"date-time\"},\"data\":{"
        "\"description\":\"of a JSON type: the body itself; of another: the body's text\"},"
        "\"data_base64\":{\"type\":\"string\",\"contentEncoding\":\"base64\"}},\"required\":["
        "\"specversion\",\"id\",\"source\",\"type\"],\"not\":{\"required\":[\"data\","
        "\"data_base64\"]}}");
    gal_doc_raw(
        out, "CloudEventAnswer",
        "{\"type\":\"object\",\"description\":\"the answer to a structured event\",\"properties\":{"
        "\"specversion\":{\"const\":\"1.0\"},\"id\":" TEXT
        ",\"source\":{\"type\":\"string\",\"pattern\":\"^io[.]kserve[.]inference[.]\"},\"type\":{"
        "\"const\":\"" GAL_EVENT_TYPE "\"},\"time\":{\"type\":\"string\",\"format\":\"date-time\"},"
        "\"datacontenttype\":" TEXT
        ",\"data\":{\"description\":\"the operation's answer\"},\"data_base64\":{\"type\":"
        "\"string\",\"contentEncoding\":\"base64\",\"description\":\"of answers that are neither "
        "JSON nor text\"}},\"required\":[\"specversion\",\"id\",\"source\",\"type\",\"time\"]}");
}

/* components/parameters and components/headers. */
static void put_attribute(struct gal_buf *out, const char *key, const char *header,
                          const char *description, const char *schema)
{
    gal_doc_open(out, key, '{');
    if (header != NULL) {
        gal_doc_text(out, "name", header);
        gal_doc_raw(out, "in", "\"header\",\"required\":false");
    }
    gal_doc_text(out, "description", description);
    gal_doc_raw(out, "schema", schema);
    gal_doc_close(out, '}');
}

void gal_doc_event_parameter_list(struct gal_buf *out)
{
    put_attribute(out, "EventSpecversion", "ce-specversion",
                  "the body is the data of a CloudEvent in binary mode: id, source and type must "
                  "be there too",
                  "{\"const\":\"1.0\"}");
    put_attribute(out, "EventId", "ce-id", "of a CloudEvent in binary mode", NAMED);
    put_attribute(out, "EventSource", "ce-source", "of a CloudEvent in binary mode", NAMED);
    put_attribute(out, "EventType", "ce-type", "of a CloudEvent in binary mode", NAMED);
}

void gal_doc_event_header_list(struct gal_buf *out)
{
    put_attribute(out, "EventSpecversion", NULL, "to an event in binary mode",
                  "{\"const\":\"1.0\"}");
    put_attribute(out, "EventId", NULL, "to an event in binary mode: a UUID", TEXT);
    put_attribute(out, "EventSource", NULL,
                  "to an event in binary mode: " GAL_EVENT_SOURCE_PREFIX "MODEL", TEXT);
    put_attribute(out, "EventType", NULL, "to an event in binary mode",
                  "{\"const\":\"" GAL_EVENT_TYPE "\"}");
    put_attribute(out, "EventTime", NULL, "to an event in binary mode: when the answer was ready",
                  "{\"type\":\"string\",\"format\":\"date-time\"}");
}
