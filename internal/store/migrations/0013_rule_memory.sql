-- What business rules remember of objects, by their ids in their system, until they are forgotten.
CREATE TABLE rule_memory (
    rule       TEXT NOT NULL,
    object     TEXT {bytes} NOT NULL,
    doc        {blob} NOT NULL,
    keep_until BIGINT NOT NULL,
    PRIMARY KEY (rule, object)
) {bare};
CREATE INDEX rule_memory_old ON rule_memory (keep_until);
