/* SPDX-License-Identifier: Apache-2.0 */
#include "net/x.h" /* EXPECT floor */
#include "base/good.h"
#include <llhttp.h>            /* EXPECT dependency */
#include <uv.h>                /* EXPECT dependency */
#include <uv/version.h>        /* EXPECT dependency */
#include <yyjson.h>            /* EXPECT dependency */
#include <yaml.h>              /* EXPECT dependency */
#include <zlib.h>              /* EXPECT dependency */
#include <openssl/evp.h>       /* EXPECT dependency */
#include "onnxruntime_c_api.h" /* EXPECT dependency include-path */
#include "base/spdx.c"         /* EXPECT include-c */
