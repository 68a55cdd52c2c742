// The description, to read and to try what changes nothing: a browser's session does not write without the token of one of the console's own forms.
addEventListener("DOMContentLoaded", () => {
  SwaggerUIBundle({ url: "/openapi.json", dom_id: "#api", deepLinking: true, docExpansion: "list", defaultModelsExpandDepth: 0, supportedSubmitMethods: ["get"], validatorUrl: null });
});
