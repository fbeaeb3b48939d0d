/* SPDX-License-Identifier: Apache-2.0 */
/* Every bound on what comes from outside, with its unit and reason. The configuration key, where
 * a user may move it, is named; server/config.def holds the key's range. */
#ifndef GAL_BASE_LIMITS_H
#define GAL_BASE_LIMITS_H

/* http */
#define GAL_HTTP_HEAD_BYTES_MAX 16384u  /* request line and headers; max_head_bytes */
#define GAL_HTTP_HEADERS_MAX 100u       /* header lines a request: bounds the array in it */
#define GAL_HTTP_TARGET_BYTES_MAX 8192u /* request target: what proxies allow */
#define GAL_BODY_BYTES_MAX (64u << 20)  /* body, after decoding too; max_body_bytes */
#define GAL_INFLATE_RATIO_MAX 200u      /* decoded bytes a coded byte beyond 64 KiB: no bombs */
#define GAL_HTTP_RESPONSE_HEADERS_MAX 16u
#define GAL_HTTP_RESPONSE_TRAILERS_MAX 4u
#define GAL_CONNECTIONS_MAX 10000u /* open sockets of the process; max_connections */
/* of a body ahead of us: an image of FP32 is 0.6 MiB; and of all bodies of a connection */
#define GAL_HTTP2_STREAM_WINDOW (1u << 20)
#define GAL_HTTP2_CONNECTION_WINDOW (16u << 20)
#define GAL_HEAD_TIMEOUT_MS 10000u /* first byte of a request to its whole head; head_timeout */
#define GAL_BODY_TIMEOUT_MS 30000u /* no byte of the body for so long; body_timeout */
#define GAL_TCP_KEEPALIVE_S 60     /* silence of a peer after which TCP asks whether it is there */
#define GAL_BODY_RATE_MIN 1024u    /* bytes a second of a body as a whole: no trickling */
#define GAL_IDLE_TIMEOUT_MS 75000u /* keep-alive between requests; idle_timeout */
#define GAL_WRITE_TIMEOUT_MS                                                                       \
    30000u                       /* next to nothing of the answer taken meanwhile; write_timeout */
#define GAL_WRITE_RATE_MIN 1024u /* bytes a second of it: less is next to nothing */

/* WebSocket; a message is bounded as a body is */
#define GAL_WS_IN_FLIGHT_MAX                                                                       \
    64u                           /* requests of a connection that are not answered: then no more  \
                                     are read */
#define GAL_WS_CONTROLS_MAX 1000u /* pings and pongs of a connection in 10 seconds: no flood */

/* json, yaml, protobuf text */
#define GAL_JSON_DEPTH_MAX 64u        /* nesting of a request's JSON: far over any tensor's rank */
#define GAL_YAML_BYTES_MAX (1u << 20) /* a configuration file */
#define GAL_YAML_DEPTH_MAX 32u
#define GAL_YAML_NODES_MAX 100000u     /* aliases are refused, so nodes bound the work */
#define GAL_PBTXT_BYTES_MAX (1u << 20) /* a config.pbtxt */
#define GAL_PBTXT_DEPTH_MAX 32u
#define GAL_PBTXT_NODES_MAX 100000u

/* texts that a tokenizer cuts */
#define GAL_TOKENIZE_TEXT_BYTES_MAX (1u << 20) /* of one: the longest models take some 100 KiB */
#define GAL_TOKENIZE_LENGTH_MAX (1u << 20)     /* tokens of a row that may be asked for */
#define GAL_TOKENIZER_BYTES_MAX (64u << 20)    /* a tokenizer.json: XLM-R's has 17 MiB */
#define GAL_TOKENIZER_ARENA_MAX (1ul << 30)    /* and its tree, while it is read */

/* tensors */
#define GAL_RANK_MAX 32u              /* dimensions of a tensor */
#define GAL_TENSORS_MAX 1024u         /* inputs or outputs of a request or a model */
#define GAL_NAME_BYTES_MAX 256u       /* name of a model, tensor or version */
#define GAL_REQUEST_ID_BYTES_MAX 128u /* `id`, X-Request-ID, X-Correlation-ID */
#define GAL_INSTANCES_MAX 65536u      /* rows of a native request; max_instances */

/* images */
#define GAL_IMAGE_PIXELS_MAX                                                                       \
    (32u << 20) /* of one that is sent: a decoder's bomb ends here; max_pixels */
#define GAL_IMAGE_PIXELS_MOST (256u << 20)   /* and as much as may be asked for */
#define GAL_IMAGE_SIDE_MAX 65500u            /* what JPEG allows */
#define GAL_IMAGE_CHUNK_BYTES_MAX (8u << 20) /* of a PNG's text or profile */
#define GAL_IMAGE_SCANS_MAX 100              /* of a progressive JPEG: each costs a pass */

/* memory of a request; of all together max_request_memory (base/budget.h) */
#define GAL_ARENA_FIRST_BYTES 65536u    /* first block of a request's arena */
#define GAL_ARENA_KEEP_BYTES (1u << 20) /* kept between requests of a connection slot */
#define GAL_ARENA_BYTES_MAX (1ul << 30) /* one request's decoded tensors and documents */
#define GAL_RESPONSE_BYTES_MAX (1ul << 30)

/* models */
#define GAL_MODELS_MAX 4096u
#define GAL_QUEUE_MAX 1024u                    /* requests waiting for one model; max_queue_size */
#define GAL_BATCH_INPUT_BYTES_MAX (64ul << 20) /* of one call, where the user names no rows */
#define GAL_WARMUP_RUNS 10u                    /* inferences before ready; warmup */

/* batches and queues of a model */
#define GAL_BATCH_ROWS_MAX 64u /* rows of a call, untold: matrix products gain little beyond */
#define GAL_BATCH_ROWS_MOST (1u << 20)    /* and as much as may be asked for */
#define GAL_QUEUE_BYTES_MAX (1ul << 30)   /* waiting: 1,024 images of FP32 are 0.6 GiB */
#define GAL_QUEUE_JOBS_MOST (1u << 20)    /* waiting requests that may be asked for */
#define GAL_DELAY_US_MOST 60000000ul      /* for company: longer is a mistake of units */
#define GAL_TIMEOUT_US_MOST 86400000000ul /* in a queue, and as a target: a day */

/* clients' shared memory, models loaded by request */
#define GAL_SHM_REGIONS_MAX 1024u       /* registered at once: each holds a file descriptor */
#define GAL_CONTROL_FILES_MAX 256u      /* `file:` parameters of one load */
#define GAL_CONTROL_PATH_BYTES_MAX 512u /* of the path of one of them */
#define GAL_LABELS_BYTES_MAX (4u << 20) /* a label_filename's file */

/* what galley fetches from others */
#define GAL_URL_BYTES_MAX 8192u         /* signed ones are long; with its NUL */
#define GAL_FETCH_HEAD_BYTES_MAX 65536u /* of an answer */
#define GAL_FETCH_BODY_BYTES_MAX                                                                   \
    (1u << 20)                           /* of an answer in memory, where no other bound is told */
#define GAL_FETCH_WORDS_BYTES_MAX 65536u /* kept of an answer that is not 2xx */
#define GAL_FETCH_TRIES 4u
#define GAL_FETCH_TRIES_MAX 20u
#define GAL_FETCH_REDIRECTS_MAX 5u
#define GAL_FETCH_RETRY_AFTER_US_MAX                                                               \
    60000000ul /* a server that asks for more is not waited for                                    \
                */

/* registries */
#define GAL_CREDENTIALS_BYTES_MAX (1u << 20)  /* a file of Docker's */
#define GAL_TOKEN_BYTES_MAX 65536u            /* a token server's answer */
#define GAL_OCI_MANIFEST_BYTES_MAX (4u << 20) /* what registries accept at most */
#define GAL_REGISTRY_TAGS_MAX 100000u         /* of a repository */
#define GAL_REGISTRY_PARALLEL_MAX 64u         /* blobs at once */
#define GAL_UPLOAD_WHOLE_BYTES (4u << 20)     /* up to so much a blob goes in one request */
#define GAL_UPLOAD_CHUNK_BYTES (32u << 20)    /* for servers that refuse larger requests (413) */

/* response cache; the bound of all entries is response_cache_size */
#define GAL_CACHE_KEY_BYTES_MAX (1u << 20)    /* of a cached request: it is compared under a lock */
#define GAL_CACHE_VALUE_BYTES_MAX (4ul << 20) /* an answer with its key, as Redis holds it */

/* packages and images */
#define GAL_OCI_JSON_BYTES_MAX (4u << 20) /* a manifest, an index: what registries take */
#define GAL_OCI_JSON_DEPTH_MAX 32u
#define GAL_OCI_LAYERS_MAX 20000u    /* of a manifest: of a package one a file */
#define GAL_OCI_MEMBERS_MAX 256u     /* of one JSON object: annotations, fields */
#define GAL_OCI_INDEX_DEPTH_MAX 4u   /* indexes in indexes */
#define GAL_OCI_ENTRIES_MAX 100000u  /* files of an image layout's tar */
#define GAL_PACKAGE_FILES_MAX 10000u /* of a package: each is a layer */
/* of all that comes out of a package's compressed layers: no bombs. Weights hardly shrink */
#define GAL_PACKAGE_RATIO_MAX 64u          /* bytes a compressed byte ... */
#define GAL_PACKAGE_FREE_BYTES (64u << 20) /* ... beyond so many */
#define GAL_TAR_NAME_BYTES_MAX 4096u       /* of an entry: PATH_MAX */

#endif
