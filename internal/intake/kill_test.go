package intake

const childEnv = "WAYBILL_INTAKE_CHILD"

func childMain() {}
