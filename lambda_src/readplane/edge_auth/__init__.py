"""The `edge_auth` function (Lambda@Edge): checks who asks for a document that needs sign-in."""
