// The part of @aws-sdk/client-rds-data that the shop uses, signed and sent to the emulator. Lambda's own Node.js has
// the SDK; this machine's has not.
const { createHash, createHmac } = require("node:crypto");
const http = require("node:http");

const agent = new http.Agent({ keepAlive: true });
const hash = (text) => createHash("sha256").update(text).digest("hex");
const hmac = (key, text) => createHmac("sha256", key).update(text).digest();

function signed(host, path, body) {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION } = process.env;
  const date = new Date().toISOString().replace(/[-:]|\.\d{3}/g, "");
  const scope = [date.slice(0, 8), AWS_REGION, "rds-data", "aws4_request"];
  const headers = { "content-type": "application/json", host, "x-amz-date": date };
  if (AWS_SESSION_TOKEN) headers["x-amz-security-token"] = AWS_SESSION_TOKEN;
  const names = Object.keys(headers).sort();
  const lines = names.map((name) => `${name}:${headers[name]}\n`).join("");
  const request = ["POST", path, "", lines, names.join(";"), hash(body)].join("\n");
  const key = scope.reduce(hmac, `AWS4${AWS_SECRET_ACCESS_KEY}`);
  const text = ["AWS4-HMAC-SHA256", date, scope.join("/"), hash(request)].join("\n");
  const signature = createHmac("sha256", key).update(text).digest("hex");
  const credential = `${AWS_ACCESS_KEY_ID}/${scope.join("/")}`;
  const authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
  return { ...headers, authorization, "content-length": Buffer.byteLength(body) };
}

class ExecuteStatementCommand {
  constructor(input) {
    this.path = "/Execute";
    this.body = JSON.stringify(input);
  }
}

class RDSDataClient {
  send({ path, body }) {
    const { hostname, port, host } = new URL(process.env.AWS_ENDPOINT_URL);
    const options = { hostname, port, path, method: "POST", agent, headers: signed(host, path, body) };
    return new Promise((resolve, reject) => {
      const request = http.request(options, async (response) => {
        let text = "";
        for await (const chunk of response) text += chunk;
        const answer = JSON.parse(text || "{}");
        if (response.statusCode === 200) resolve(answer);
        else reject(new Error(answer.message ?? answer.Message ?? text));
      });
      request.on("error", reject);
      request.end(body);
    });
  }
}

module.exports = { RDSDataClient, ExecuteStatementCommand };
