// SPDX-License-Identifier: Apache-2.0
// Starts Swagger UI on /docs. Without a validator the document is not sent anywhere.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#explorer",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
