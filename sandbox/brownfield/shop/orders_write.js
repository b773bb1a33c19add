// Orders into Aurora, as orders_write.py does it: POST /v2/orders, PUT and DELETE /v2/orders/{orderId}.
const { randomUUID } = require("node:crypto");
const { RDSDataClient, ExecuteStatementCommand } = require("@aws-sdk/client-rds-data");

const client = new RDSDataClient({});
const NAMES = ["customer_id", "status", "total_cents", "reference", "note"];
const INSERT =
  `INSERT INTO orders (order_id, ${NAMES.join(", ")}, placed_at) ` +
  `VALUES (:order_id, ${NAMES.map((name) => `:${name}`).join(", ")}, UTC_TIMESTAMP())`;
const UPDATE = `UPDATE orders SET ${NAMES.map((name) => `${name} = :${name}`).join(", ")} WHERE order_id = :order_id`;
const FIND = "SELECT 1 FROM orders WHERE order_id = :order_id";
const DELETE = "DELETE FROM orders WHERE order_id = :order_id";
const AUDIT = "INSERT INTO order_audit (order_id, action, note, at) VALUES (:order_id, :action, :note, UTC_TIMESTAMP(6))";

exports.handler = async (event) => {
  try {
    const key = event.pathParameters?.orderId;
    if (event.httpMethod === "POST") return await create(JSON.parse(event.body).data);
    if (event.httpMethod === "PUT") return await replace(key, JSON.parse(event.body).data);
    return await remove(key);
  } catch (error) {
    return respond(200, { errorMessage: String(error.message) });
  }
};

async function create(data) {
  const order_id = data.order_id ?? randomUUID();
  await execute(INSERT, { ...values(data), order_id });
  await audit(order_id, "created", data.note);
  return respond(201, { data: { ...data, order_id } });
}

async function replace(order_id, data) {
  const { numberOfRecordsUpdated } = await execute(UPDATE, { ...values(data), order_id });
  if (!numberOfRecordsUpdated && !(await execute(FIND, { order_id })).records.length) return missing(order_id);
  await audit(order_id, "replaced", data.note);
  return respond(202, { data: { ...data, order_id } });
}

async function remove(order_id) {
  const { numberOfRecordsUpdated } = await execute(DELETE, { order_id });
  if (!numberOfRecordsUpdated) return missing(order_id);
  await audit(order_id, "removed", null);
  return respond(200, { data: { order_id, deleted: true } });
}

const audit = (order_id, action, note) => execute(AUDIT, { order_id, action, note: note ?? null });

const missing = (order_id) => respond(404, { errors: [{ code: "order_not_found", detail: order_id }] });

const values = (data) =>
  Object.fromEntries(NAMES.map((name) => [name, data[name] ?? (name === "status" ? "open" : null)]));

function execute(sql, given) {
  const cell = (value) =>
    value === null ? { isNull: true } : Number.isInteger(value) ? { longValue: value } : { stringValue: value };
  return client.send(
    new ExecuteStatementCommand({
      resourceArn: process.env.CLUSTER_ARN,
      secretArn: process.env.SECRET_ARN,
      database: "shop",
      sql,
      parameters: Object.entries(given).map(([name, value]) => ({ name, value: cell(value) })),
    }),
  );
}

const respond = (statusCode, body) => ({
  statusCode,
  headers: { "Access-Control-Allow-Origin": "*" },
  body: JSON.stringify(body),
});
