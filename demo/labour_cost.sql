-- What did labour cost, by task and week, in euros? The last five weeks on record, and the dearest tasks first.
WITH weekly AS (
    SELECT
        task,
        date_trunc('week', "startTimestamp")::date AS week,
        sum("laborCost") AS cost
    FROM registrations
    WHERE "isArchived" IS NOT TRUE AND task IS NOT NULL AND "startTimestamp" IS NOT NULL
    GROUP BY task, week
),

latest AS (
    SELECT DISTINCT week
    FROM weekly
    ORDER BY week DESC
    LIMIT 5
)

SELECT
    task,
    week,
    cost
FROM weekly
INNER JOIN latest USING (week)
WHERE cost IS NOT NULL
ORDER BY sum(cost) OVER (PARTITION BY task) DESC, task, week
