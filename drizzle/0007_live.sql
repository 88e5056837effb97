CREATE TABLE "used_stream_tickets" (
	"user_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "used_stream_tickets_user_id_id_pk" PRIMARY KEY("user_id","id")
);
--> statement-breakpoint
ALTER TABLE "used_stream_tickets" ADD CONSTRAINT "used_stream_tickets_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "used_stream_tickets_by_expires_at" ON "used_stream_tickets" USING btree ("expires_at");